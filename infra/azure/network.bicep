// The optional virtual network: the app's outgoing traffic enters it, and private endpoints lead from
// there to storage and Key Vault, which are closed to the internet then.

@description('Name of the virtual network.')
param name string

@description('Azure region.')
param location string

@description('Tags.')
param tags object

@description('Address space, /25 or larger.')
param prefix string

@description('Resource id of the storage account.')
param storageId string

@description('Resource id of the vault.')
param vaultId string

// Flex Consumption takes no subnet with an underscore in its name.
var appSubnet = 'app'
var endpointSubnet = 'endpoints'

var endpoints = [
  {
    kind: 'blob'
    target: storageId
    zone: 'privatelink.blob.${environment().suffixes.storage}'
  }
  {
    kind: 'queue'
    target: storageId
    zone: 'privatelink.queue.${environment().suffixes.storage}'
  }
  {
    kind: 'table'
    target: storageId
    zone: 'privatelink.table.${environment().suffixes.storage}'
  }
  {
    kind: 'vault'
    target: vaultId
    zone: 'privatelink.vaultcore.azure.net'
  }
]

resource rules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: 'nsg-${name}'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'https-from-the-app'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: cidrSubnet(prefix, 26, 0)
          sourcePortRange: '*'
          destinationAddressPrefix: cidrSubnet(prefix, 26, 1)
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        prefix
      ]
    }
    subnets: [
      {
        name: appSubnet
        properties: {
          addressPrefix: cidrSubnet(prefix, 26, 0)
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: endpointSubnet
        properties: {
          addressPrefix: cidrSubnet(prefix, 26, 1)
          privateEndpointNetworkPolicies: 'Enabled'
          networkSecurityGroup: {
            id: rules.id
          }
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for endpoint in endpoints: {
  name: endpoint.zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (endpoint, i) in endpoints: {
  parent: zones[i]
  name: name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [for endpoint in endpoints: {
  name: 'pe-${endpoint.kind}-${name}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: '${network.id}/subnets/${endpointSubnet}'
    }
    privateLinkServiceConnections: [
      {
        name: endpoint.kind
        properties: {
          privateLinkServiceId: endpoint.target
          groupIds: [
            endpoint.kind
          ]
        }
      }
    ]
  }
}]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for (endpoint, i) in endpoints: {
  parent: privateEndpoints[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: endpoint.kind
        properties: {
          privateDnsZoneId: zones[i].id
        }
      }
    ]
  }
}]

output appSubnetId string = '${network.id}/subnets/${appSubnet}'
