// The function app on Flex Consumption, its settings, and App Service Authentication before it.

@description('Name of the function app.')
param name string

@description('Name of its plan.')
param planName string

@description('Azure region.')
param location string

@description('Tags.')
param tags object

@description('Resource id of the app\'s identity.')
param identityId string

@description('Client id of the app\'s identity.')
param identityClientId string

@description('The storage account of the host, the queues and the tables.')
param storageName string

@description('The blob container of the app\'s package.')
param packageContainerUrl string

@description('The vault.')
param vaultUrl string

@description('Key Vault reference to the address for telemetry.')
param insightsReference string

@description('Client id of the console\'s app registration.')
param consoleClientId string

@description('Further client ids whose tokens are taken.')
param apiClientIds array

@description('The app role of administrators.')
param adminRole string

@description('The address from outside; empty for the app\'s own.')
param publicUrl string

@description('NCRONTAB of the sweep.')
param sweepSchedule string

@description('How long the activity log is kept.')
param retentionDays int

@description('Memory of one instance.')
param instanceMemoryMB int

@description('The most instances of one group of functions.')
param maximumInstanceCount int

@description('Instances that always run.')
param alwaysReadyInstances int

@description('Subnet for outgoing traffic; empty for none.')
param subnetId string

// From the webhook to the write in BMS these two run; the sweep's functions run every minute anyway.
var alwaysReadyGroups = ['http', 'function:apply_user_delta']

// Whoever comes in here proves itself to the app: Graph with clientState, a browser on its way back
// from Microsoft with the state of its own sign-in, a monitor with nothing at all.
var anonymousPaths = ['/webhooks/graph/*', '/OAuth/IntegrationCallback.aspx', '/health']

var address = empty(publicUrl) ? 'https://${site.properties.defaultHostName}' : publicUrl

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: [for group in (alwaysReadyInstances > 0 ? alwaysReadyGroups : []): {
          name: group
          instanceCount: alwaysReadyInstances
        }]
        triggers: {
          http: {
            // The webhook is a coroutine that only queues: one instance takes a burst whole, and
            // makes few messages of it.
            perInstanceConcurrency: 64
          }
        }
      }
    }
  }
}

// Uploads are allowed with an Entra token only.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AZURE_CLIENT_ID: identityClientId
    KEY_VAULT_URL: vaultUrl
    PUBLIC_URL: address
    ADMIN_ROLE: adminRole
    SWEEP_SCHEDULE: sweepSchedule
    RETENTION_DAYS: string(retentionDays)
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsReference
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    // In place of a client secret: the identity vouches for the console's registration.
    OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
    WEBSITE_AUTH_AAD_ALLOWED_TENANTS: tenant().tenantId
  }
}

resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
      runtimeVersion: '~1'
    }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: anonymousPaths
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          clientId: consoleClientId
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        }
        validation: {
          allowedAudiences: [
            consoleClientId
            'api://${consoleClientId}'
          ]
          defaultAuthorizationPolicy: {
            allowedApplications: union([consoleClientId], apiClientIds)
          }
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
      preserveUrlFragmentsForLogins: false
      cookieExpiration: {
        convention: 'FixedTime'
        timeToExpiration: '08:00:00'
      }
      nonce: {
        validateNonce: true
        nonceExpirationInterval: '00:05:00'
      }
    }
  }
  dependsOn: [
    settings
  ]
}

output name string = site.name
output url string = 'https://${site.properties.defaultHostName}'
output publicUrl string = address
