"""Examples of the OpenAPI document, one module for the routes of one noun."""
