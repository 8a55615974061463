"""Signing in to Airflow in production: people named in the database, no self-registration."""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "10 per minute"
WTF_CSRF_ENABLED = True
# People come through the city's TLS proxy; a browser sends the cookie over nothing else.
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
