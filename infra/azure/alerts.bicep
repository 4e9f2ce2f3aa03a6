// The alerts. Each has its chapter in docs/operate.md, by its name here. The queries read the app's
// own metrics, which the exporter writes every minute; a gauge's value is in valueMax.

@description('Application Insights with the metrics.')
param insightsName string

@description('Azure region.')
param location string

@description('Tags.')
param tags object

@description('Where the alerts go.')
param email string

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'bms-sync-operators'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'bms-sync'
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

var alerts = [
  {
    name: 'poison-messages'
    severity: 1
    title: 'Messages lie in a poison queue'
    description: 'Work that failed five times was neither sent back to work nor turned into a failure that a person can replay.'
    // The poison functions empty these queues within seconds: what was there in each of the last
    // five-minute slots is stuck.
    query: '''
      customMetrics
      | where name == 'sync.backlog' and tostring(customDimensions['queue']) endswith '-poison'
      | summarize Waiting = max(valueMax) by Queue = tostring(customDimensions['queue']), Slot = bin(timestamp, 5m)
      | summarize Stuck = min(Waiting) by Queue
      | summarize Value = coalesce(max(Stuck), 0.0)
    '''
    threshold: 0
    window: 'PT15M'
    every: 'PT5M'
  }
  {
    name: 'failures-growing'
    severity: 2
    title: 'More failures wait for a person'
    description: 'The number of failures that wait is higher than it was in the hour before.'
    query: '''
      let waiting = customMetrics | where name == 'sync.failures.waiting';
      let before = toscalar(waiting | where timestamp < ago(15m) | summarize coalesce(max(valueMax), 0.0));
      waiting
      | where timestamp >= ago(15m)
      | summarize Value = coalesce(max(valueMax), 0.0) - before
    '''
    threshold: 0
    window: 'PT1H'
    every: 'PT5M'
  }
  {
    name: 'no-sweep'
    severity: 1
    title: 'A connection was not swept for 10 minutes'
    description: 'The oldest successful sweep of an active connection is more than 10 minutes ago: changes without a notification are not seen.'
    query: '''
      customMetrics
      | where name == 'sync.sweep.age.seconds' and timestamp > ago(5m)
      | summarize Value = coalesce(max(valueMax), 0.0)
    '''
    threshold: 600
    window: 'PT5M'
    every: 'PT5M'
  }
  {
    name: 'silence'
    severity: 1
    title: 'The app says nothing'
    description: 'Nothing was measured for 15 minutes: the app does not run, cannot read its storage, or cannot send its telemetry. Then no other alert can come either.'
    // The last figure of a round of the function measure: others come from work that goes on.
    query: '''
      customMetrics
      | where name == 'sync.bms.budget.used.share' and timestamp > ago(15m)
      | summarize Value = iff(count() == 0, 1.0, 0.0)
    '''
    threshold: 0
    window: 'PT15M'
    every: 'PT5M'
  }
  {
    name: 'slow-changes'
    severity: 2
    title: 'Changes take over 3 minutes'
    description: 'Of the changes written within a quarter of an hour, more than 5 % took over 3 minutes from the first signal to the write in BMS.'
    // The app reckons the p95 itself: of a histogram the exporter keeps no percentiles.
    query: '''
      customMetrics
      | where name == 'sync.freshness.p95.seconds' and timestamp > ago(15m)
      | summarize arg_max(timestamp, valueMax)
      | project Value = coalesce(valueMax, 0.0)
    '''
    threshold: 180
    window: 'PT15M'
    every: 'PT5M'
  }
  {
    name: 'secret-ends'
    severity: 2
    title: 'A secret ends within 14 days, or is refused already'
    description: 'A secret or sign-in ends soon, or is refused: of a connection, of BMS or of IT Glue. After that nothing is synced there.'
    // Subscriptions are extended by the app itself and never have more than 28 days.
    query: '''
      customMetrics
      | where name == 'sync.credential.days.left'
      | where tostring(customDimensions['kind']) != 'subscription'
      | summarize arg_max(timestamp, valueMin) by Kind = tostring(customDimensions['kind'])
      | summarize Value = 15.0 - coalesce(min(valueMin), 15.0)
    '''
    threshold: 0
    window: 'PT1H'
    every: 'PT1H'
  }
]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: 'bms-sync-${alert.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'BMS sync: ${alert.title}'
    description: '${alert.description} What to do: docs/operate.md, ${alert.name}.'
    severity: alert.severity
    enabled: true
    autoMitigate: true
    // The metrics come into being with the app's first minute, after this deployment.
    skipQueryValidation: true
    scopes: [
      insights.id
    ]
    targetResourceTypes: [
      'microsoft.insights/components'
    ]
    evaluationFrequency: alert.every
    windowSize: alert.window
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'Value'
          operator: 'GreaterThan'
          threshold: alert.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        people.id
      ]
    }
  }
}]
