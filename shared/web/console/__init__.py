"""The console: server-rendered pages for the technician and the operator (design section 6).

Every page reads and writes through the admin API, in process (`inside.py`), so that whatever the
console can do, a script can do too, and both are refused with the same sentences.
"""
