// The whole deployment: one resource group, one module per part. Nothing here holds a key, a
// connection string or a secret; whoever may do what is in roles.bicep alone.
targetScope = 'subscription'

@description('Name of this deployment, for example bms-sync-prod. Part of every derived name.')
@minLength(1)
@maxLength(48)
param environmentName string

@description('Azure region. Flex Consumption must be offered there: az functionapp list-flexconsumption-locations.')
@minLength(1)
param location string

@description('Where alerts go. An alert that nobody reads is none.')
@minLength(6)
param alertEmail string

@description('Application (client) id of the app registration that signs administrators in. infra.azure.register_apps makes it.')
@minLength(36)
@maxLength(36)
param consoleClientId string

@description('Further client applications whose Entra tokens the admin API takes: client ids with commas between. Empty: the console registration alone.')
param apiClientIds string = ''

@description('The app role that a caller of the admin API must have. infra.azure.register_apps makes Sync.Admin.')
@minLength(1)
param adminRole string = 'Sync.Admin'

@description('The https address that Graph and browsers reach the app by, with a custom domain. Empty: the address of the function app.')
param publicUrl string = ''

@description('When connections are swept, as NCRONTAB with seconds, in UTC. Every minute unless changed.')
param sweepSchedule string = '0 * * * * *'

@description('How many days the activity log and finished work are kept.')
@minValue(7)
@maxValue(3650)
param retentionDays int = 90

@description('Memory of one instance in MB. 2048 holds a full sync of 100,000 people; 512 is enough for a few thousand.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('How many instances each group of functions may have at most. BMS allows so few calls that more would only wait.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that always run, each for the webhook and for fresh changes. 1: changes arrive within seconds at any hour. 0: cheaper, and the first change after a quiet time waits for a cold start.')
@minValue(0)
@maxValue(5)
param alwaysReadyInstances int = 1

@description('Puts storage and Key Vault behind private endpoints in a virtual network of the app, and closes them to the internet.')
param privateNetwork bool = false

@description('Address space of that virtual network. Two /26 subnets are taken from it.')
param virtualNetworkPrefix string = '10.90.0.0/24'

@description('How the storage account keeps copies. ZRS and GRS are not offered in every region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('recover brings a Key Vault back that an earlier deployment of this name left behind (deleted vaults keep their name for 90 days).')
@allowed(['default', 'recover'])
param vaultCreateMode string = 'default'

@description('How many days Log Analytics keeps telemetry. 30 days are included in its price.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('The most telemetry a day in GB. What is more is dropped until the next day.')
@minValue(1)
@maxValue(100)
param dailyLogCapGB int = 1

@description('Tags for every resource, beside azd-env-name.')
param extraTags object = {}

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = union(extraTags, { 'azd-env-name': environmentName, workload: 'entra-bms-sync' })

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-${token}'
    insightsName: 'appi-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGB: dailyLogCapGB
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    sku: storageSku
    closedToInternet: privateNetwork
  }
}

module vault 'vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    createMode: vaultCreateMode
    closedToInternet: privateNetwork
    insightsName: monitoring.outputs.insightsName
    workspaceId: monitoring.outputs.workspaceId
  }
}

module roles 'roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    principalId: identity.outputs.principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
  }
}

module network 'network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    prefix: virtualNetworkPrefix
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module functionApp 'function_app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageContainerUrl: storage.outputs.packageContainerUrl
    vaultUrl: vault.outputs.url
    insightsReference: vault.outputs.insightsReference
    consoleClientId: consoleClientId
    apiClientIds: empty(apiClientIds) ? [] : split(apiClientIds, ',')
    adminRole: adminRole
    publicUrl: publicUrl
    sweepSchedule: sweepSchedule
    retentionDays: retentionDays
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
  }
  // Without its roles the host cannot start, and a reference to Key Vault stays unresolved.
  dependsOn: [
    roles
  ]
}

module alerts 'alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    insightsName: monitoring.outputs.insightsName
    location: location
    tags: tags
    email: alertEmail
  }
}

module workbook 'workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    insightsName: monitoring.outputs.insightsName
    location: location
    tags: tags
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output FUNCTION_APP_NAME string = functionApp.outputs.name
output PUBLIC_URL string = functionApp.outputs.publicUrl
output APP_URL string = functionApp.outputs.url
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
