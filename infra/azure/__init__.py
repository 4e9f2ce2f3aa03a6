"""The deployment to Azure: Bicep, and what Bicep cannot do (registrations, a look from outside)."""
