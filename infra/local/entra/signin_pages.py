"""Pages of the sign-in service for a person's browser. Every text from outside is escaped."""

from collections.abc import Iterable
from html import escape

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;background:#f2f2f2;margin:0}"
    "main{max-width:30rem;margin:8vh auto;background:#fff;padding:2rem;"
    "box-shadow:0 2px 8px #0003}h1{font-size:1.4rem}ul{list-style:none;padding:0}"
    "li{margin:.4rem 0}a.choice,button{display:block;width:100%;box-sizing:border-box;"
    "text-align:left;padding:.7rem;border:1px solid #bbb;background:#fff;color:#111;"
    "text-decoration:none;font:inherit;cursor:pointer}a.choice:hover,button:hover{background:#eef}"
    "small{color:#555}.quiet{color:#555}"
)
# Nothing but this page's own style is loaded or run.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action *",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def error_page(number: int, text: str) -> str:
    """Show a problem that never goes back to the app."""
    return _page(
        "Sign-in: trouble",
        f"<h1>Sorry, but we're having trouble signing you in.</h1>"
        f"<p>AADSTS{number}: {escape(text)}</p>",
    )


def account_page(
    app: str, accounts: Iterable[tuple[str, str, str, str]], cancel: str, more: int
) -> str:
    """Let a person choose an account: (link, name, address, organization) each."""
    items = "".join(
        f'<li><a class="choice" href="{escape(link)}">{escape(name)}<br>'
        f"<small>{escape(address)} · {escape(organization)}</small></a></li>"
        for link, name, address, organization in accounts
    )
    note = f'<p class="quiet">{more} more accounts: add login_hint.</p>' if more > 0 else ""
    return _page(
        "Sign-in: pick an account",
        f"<h1>Pick an account</h1><p>to continue to <strong>{escape(app)}</strong></p>"
        f'<ul>{items}</ul>{note}<p><a href="{escape(cancel)}">Cancel</a></p>'
        '<p class="quiet">This is a stand-in on this machine. No password is asked.</p>',
    )


def consent_page(app: str, who: str, scopes: Iterable[str], accept: str, cancel: str) -> str:
    """Ask for consent to permissions."""
    items = "".join(f"<li>{escape(scope)}</li>" for scope in scopes)
    return _page(
        "Sign-in: permissions requested",
        f"<h1>Permissions requested</h1><p><strong>{escape(app)}</strong> asks {escape(who)} "
        f'for:</p><ul>{items}</ul><p><a class="choice" href="{escape(accept)}">Accept</a></p>'
        f'<p><a class="choice" href="{escape(cancel)}">Cancel</a></p>',
    )


def form_post_page(target: str, fields: Iterable[tuple[str, str]]) -> str:
    """Post the answer to the redirect URI, as response_mode=form_post does."""
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields
    )
    return _page(
        "Working...",
        f'<form method="POST" action="{escape(target)}">{inputs}<button>Continue</button></form>',
    )


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
