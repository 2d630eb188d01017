"""The stack's one directory: where everything lies in it, and what is kept between starts."""
