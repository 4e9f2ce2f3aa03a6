// The workbook with the charts of the status page: Application Insights > Workbooks.

@description('Application Insights with the metrics.')
param insightsName string

@description('Azure region.')
param location string

@description('Tags.')
param tags object

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insights.id, 'bms-sync-status')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'BMS directory sync'
    category: 'workbook'
    version: '1.0'
    sourceId: insights.id
    serializedData: loadTextContent('workbook.json')
  }
}
