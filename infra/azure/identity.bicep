// The one identity of the app. It is assigned to the function app alone: it also proves the console's
// app registration (a federated credential), so nothing else may use it.

@description('Name of the identity.')
param name string

@description('Azure region.')
param location string

@description('Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
