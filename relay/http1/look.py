"""How every page of the relay looks: one style sheet, in both colour schemes, allowed by its hash."""

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; background: #fff; color: #1c1e21; }
header, main, footer { max-width: 44rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 1.5rem; }
main { margin-top: 8vh; }
header + main { margin-top: 2rem; }
footer { margin-top: 3rem; padding-bottom: 2rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
p, li, td, dd { overflow-wrap: anywhere; }
small, .quiet { color: #57606a; }
a { color: #0550ae; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid #8c959f; border-radius: 0.375rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.375rem 0.75rem 0.375rem 0; }
thead th { border-bottom: 1px solid #8c959f; }
dt { font-weight: 600; }
dd { margin: 0 0 0.5rem; }
form { display: inline-block; margin: 0.5rem 0.5rem 0.5rem 0; }
button { font: inherit; padding: 0.5rem 1rem; border: 1px solid #1a5fb4; border-radius: 0.375rem;
  background: #1a5fb4; color: #fff; cursor: pointer; }
button.plain { background: transparent; color: inherit; border-color: #6e7781; }
:focus-visible { outline: 3px solid #bf5b00; outline-offset: 2px; }
@media (prefers-color-scheme: dark) {
  body { background: #14171a; color: #e6e8ea; }
  small, .quiet { color: #9ba4ad; }
  a { color: #79b8ff; }
  :focus-visible { outline-color: #ffb454; }
}
"""
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""The source expression by which a Content-Security-Policy lets this style sheet, and no other, apply (CSP3 2.3.1)."""
