// Key Vault: the customers' client secrets, token caches, webhook secrets, the BMS password and the
// IT Glue key, all written by the app itself. The only thing that is put in from here is where telemetry goes.

@description('Name of the vault, 3 to 24 characters.')
@minLength(3)
@maxLength(24)
param name string

@description('Azure region.')
param location string

@description('Tags.')
param tags object

@description('default makes the vault, recover brings a deleted one of this name back.')
@allowed(['default', 'recover'])
param createMode string

@description('Whether only private endpoints lead to the vault.')
param closedToInternet bool

@description('Application Insights, whose address for telemetry goes into the vault.')
param insightsName string

@description('Log Analytics workspace for the record of every access.')
param workspaceId string

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    createMode: createMode
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: closedToInternet ? 'Disabled' : 'Enabled'
    networkAcls: {
      // Azure's own services come through the closed door, and need a role as everybody else.
      bypass: 'AzureServices'
      defaultAction: closedToInternet ? 'Deny' : 'Allow'
    }
  }
}

// It names the Application Insights resource and its region; with local authentication off it lets
// nobody in. It is kept here so that no app setting holds a connection string.
resource insightsAddress 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'applicationinsights-connection-string'
  tags: tags
  properties: {
    contentType: 'Where telemetry goes; authorises nothing'
    value: insights.properties.ConnectionString
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

output id string = vault.id
output name string = vault.name
output url string = vault.properties.vaultUri
output insightsReference string = '@Microsoft.KeyVault(SecretUri=${insightsAddress.properties.secretUri})'
