"""What settings are called that hold a secret, and how such a setting is written: pieces of the patterns in
``secret_kinds``. All are meant for a search that ignores case.
"""

from __future__ import annotations

from collections.abc import Mapping

# Names of settings -----------------------------------------------------------------------------------------

_LOGINS = (
    r"passw(?:or)?d|passphrase|pw(?:d|(?<![a-z]pw)(?![a-z_.\-]))|"
    r"(?<!by)(?<!com)(?<!tres)(?<!sur)pass(?![a-z_.\-])"  # DB_PASS; not bypass, passed, pass_through
    r"(?!(?<!\wpass)=\d{1,5}/\d{1,5}(?![^\s,;]))"  # nor the pass=3/4 of a loop
)
_TOKENS = (
    r"secret|token|session[_\-]?id|authorization|(?:ap[ip]|access|private|signing|encryption|auth|master|account|"
    r"secret|shared|license|deploy|hmac|ssh|fernet)[_\- ]?key"
)
# These stand before a colon in AWS's sentences too ("unable to retrieve ecr registry auth: ...").
_OTHERS = (
    r"credential|signature|cookie|dsn|conn(?:ection)?[_\-]?str|"
    r"(?<![a-z])auth(?![a-z_.\-])"  # SMTP_AUTH; not author, oauth
    r"(?!=(?:ldap|oauth2?|kerberos|on|off|enabled|disabled)(?![^\s,;]))"
)
# How the name goes on. With these ends it tells of a secret and holds none, and so it does with their number.
_REST = (
    r"[\w.\-]{0,40}+(?<!file|path|name|type)(?<!arn|url|uri|ttl)(?<!stdin|count)(?<!length|policy|expiry)"
    r"(?<!version|timeout|expires)(?!(?<=ns|ts|ys|ls)[\"'\\]{0,4}[ \t]{0,3}[:=][ \t]{0,3}\d{1,9}\b)"
)
LOGIN_NAME = rf"(?:{_LOGINS}){_REST}"
TOKEN_NAME = rf"(?:{_TOKENS}){_REST}"
ANY_NAME = rf"(?:{_LOGINS}|{_TOKENS}|{_OTHERS}){_REST}"
# One of these stands, in lower case, in every such name.
NAME_HINTS = (
    *("pass", "pw", "secret", "token", "key", "session", "auth", "credential", "signature", "cookie", "dsn"),
    "conn",
)
# Before a colon the name is a word of its own: no part of a path, an ARN, or an image.
WORD_BEGINS = r"(?<![\w/.:\-])[\w.\-]{0,60}?"

SETTING = rf"[\w.\-]{{0,80}}?{ANY_NAME}"
FLAG = rf"(?<![\w\-])--?[\w.\-]{{0,40}}?{ANY_NAME}(?<!-id)"  # --secret-id is the name of a secret

# Values ----------------------------------------------------------------------------------------------------

# Not a secret: one that is hidden already, the ARN of one, a placeholder, a word that says what is wrong.
# Such a word is so only as the whole value, with no more than the signs of a sentence after it: a password
# may begin with "a." too. A sentence may go on after it, but not within quotes.
_HIDDEN_OR_NAMED = r"(?!\*{4})(?!arn:aws[\w\-]{0,12}:[a-z])(?!\$\{[\w.]{1,100}\})"
_HARMLESS_WORD = (
    r"(?:null|none|nil|true|false|yes|no|not|is|was|must|should|cannot|could|may|the|too|for|an?|empty|"
    r"missing|required|invalid|incorrect|wrong|expired|unknown|undefined|unset|denied|unauthorized|forbidden|"
    r"timeout|failed|failure|error|eof|authentication|changed)[.:)]{0,3}+"
)
# Another setting stands behind a separator.
_NEXT = r"[\w.\-%\[\]]{1,60}=|(?<=;)\w{1,20} \w{1,20}="
NOT_HARMLESS = (
    rf"{_HIDDEN_OR_NAMED}(?!{_HARMLESS_WORD}(?:\\{{1,7}}(?=[\"'])|(?!\\))"
    rf"(?:[,;\"')}}\]](?:[\s,;&\"'){{}}\]\\]|\Z|{_NEXT})|\s|\Z))"
)
NOT_HARMLESS_QUOTED = rf"{_HIDDEN_OR_NAMED}(?!{_HARMLESS_WORD}(?P=quote))"
OPEN_QUOTE = r"(?P<quote>\\{0,7}[\"'])"  # also in a JSON text within a JSON text
QUOTED = r"(?:(?!(?<!\\)(?P=quote))[^\n]){1,4000}"
# A separator ends the value only where something else than more of the value follows.
BARE = (
    r"(?!\\{1,7}[\"'])[^\s,;&\"'){}\]](?:[^\s,;&\"'){}\]]|"
    rf"[,;&\"'){{}}\]](?=[^\s,;&\"'){{}}\]])(?!{_NEXT})){{0,4000}}"
)
EQUALS = r"[\"'\\\]]{0,8}[ \t]{0,3}(?:=>|:=|={1,3}+(?!>)|\\{1,4}u003d|%3d)[ \t]{0,3}"
COLON = r"(?:[\"'\\]{1,4}[ \t]{0,3}:[ \t]{0,3}|[ \t]{0,3}:[ \t]{1,3})"
SEPARATOR = rf"(?:{EQUALS}|[\"'\\]{{0,4}}[ \t]{{0,3}}:[ \t]{{0,3}})\[?"

# Programs that take a secret by a short option: a pattern of the program and of the option.
SHORT_OPTIONS: Mapping[str, str] = {
    r"(?:mysql|mariadb)[a-z\-]{0,12}": r"-p",
    r"curl": r"(?:-[a-zA-Z]{0,6}u|--user)",
    r"redis-cli": r"-a",
    r"sshpass": r"-p",
    r"(?:docker|podman) login": r"-p",
}
