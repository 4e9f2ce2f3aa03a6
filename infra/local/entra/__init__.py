"""Stand-in for Microsoft sign-in and Microsoft Graph v1.0.

One process plays both hosts. A directory lives in memory; every change made through the control
API becomes a delta record and a change notification, as the real service documents it. What the
documents leave open is a switch (`switches.py`). `control.py` is the client for tests and demos.
"""
