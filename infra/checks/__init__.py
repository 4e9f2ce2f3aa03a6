"""Checks of what is deployed: the Bicep files, the package, its dependencies and their licences."""
