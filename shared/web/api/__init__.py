"""The admin API (design section 6), one module per resource: shapes, handlers, routes."""
