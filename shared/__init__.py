"""The directory sync: Entra ID in, Kaseya BMS out.

Layers, top to bottom: wiring, web, sync, ports, core, config and errors.
"""

VERSION = "0.1.0"
