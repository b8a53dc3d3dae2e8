"""Every form in which a secret is written is blotted out, and what only looks like one stays."""

from __future__ import annotations

import logging
import random
import string

import pytest

from core import redact
from core.redact import BLOT, redacted
from tests.fixtures.counted_work import work

WORD = "hunter2hunter2"
HEX = "0123456789abcdef" * 2
LONG = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
# How those of well-known hosts begin. Put together here, so that no scanner takes this file for a leak.
BEGIN = {
    "Hugging Face": "hf_", "GitHub": "ghp_", "GitHub OAuth": "gho_", "GitHub server": "ghs_", "GitHub user": "ghu_",
    "GitHub refresh": "ghr_", "GitHub fine-grained": "github_pat_", "GitLab": "glpat-", "OpenAI": "sk-", "npm": "npm_",
    "OpenAI project": "sk-proj-", "Anthropic": "sk-ant-api03-", "AWS": "AKIA", "AWS session": "ASIA", "Slack": "xoxb-",
    "Slack app": "xapp-", "Stripe": "sk_live_", "PyPI": "pypi-", "Google OAuth": "ya29.", "Docker": "dckr_pat_",
    "Replicate": "r8_", "Vault": "hvs.",
}  # fmt: skip
PREFIXED = {
    **{name: begin + (LONG.upper() if begin.isupper() else LONG) for name, begin in BEGIN.items()},
    "Google": "AIza" + LONG + LONG,
    "SendGrid": f"SG.{LONG}.{LONG}",
    "Databricks": f"dapi{HEX}",
    "Telegram": "123456789:" + (LONG * 2)[:35],
    "a JSON Web Token": JWT,
}
NAMES = (
    "token", "TOKEN", "HF_TOKEN", "hf_token", "GITHUB_TOKEN", "access_token", "refresh_token", "id_token", "auth_token",
    "session_token", "AWS_SESSION_TOKEN", "api_token", "X-Auth-Token", "X-Amz-Security-Token", "secret", "SECRET_KEY",
    "DJANGO_SECRET_KEY", "client_secret", "clientSecret", "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key",
    "AWS_ACCESS_KEY_ID", "api_key", "apikey", "apiKey", "API-KEY", "X-Api-Key", "OPENAI_API_KEY", "WANDB_API_KEY",
    "private_key", "access_key", "accountKey", "AccountKey", "password", "PASSWORD", "passwd", "db_password",
    "DB_PASSWORD", "passphrase", "credentials", "PGPASSWORD", "MYSQL_ROOT_PASSWORD", "spring.datasource.password",
    "signature", "SECRET_KEY_BASE",
)  # fmt: skip
WRITTEN = (
    "{name}={value}", "{name} = {value}", "export {name}={value}", "{name}='{value}'", '{name}="{value}"',
    "{name}: {value}", '"{name}": "{value}"', "'{name}': '{value}'", '{{\\"{name}\\": \\"{value}\\"}}',
    "GET /x?{name}={value}&page=2", "--{name} {value}", "--{name}={value}", "({name}={value})", "[{name}={value}, x=1]",
    "{name} => {value}",
)  # fmt: skip
OTHERS = (
    f"Authorization: Bearer {WORD}", f"authorization: token {WORD}", f"Authorization: {WORD}", f"Bearer {WORD}",
    f"'Authorization': 'Bearer {WORD}'", f"Proxy-Authorization: Basic {WORD}==", f"Basic {WORD}==",
    f'Authorization: Digest username="me", response="{WORD}"'.replace('"', ""), f"Cookie: sid={WORD}; theme=dark",
    f"Set-Cookie: session={WORD}; HttpOnly", f"https://me:{WORD}@host/x", f"postgres://me:p@{WORD}@host/db",
    f"redis://:{WORD}@host:6379", f"https://{WORD}@github.com/a/b", f"Server=x;Uid=me;Pwd={WORD};",
    f"https://host/blob?sv=1&sig={WORD}", f"https://host/x?X-Amz-Credential={WORD}&y=1", f"key={WORD}",
    f'{{"username": "me", "key": "{HEX}{WORD}"}}'.replace(WORD, ""), f"machine host login me password {WORD}",
    f"https://hooks.slack.com/services/T0/B0/{WORD}", f"https://discord.com/api/webhooks/1/{WORD}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{WORD}\n{WORD}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{WORD}", f'password="{WORD} with two words"', f"a {JWT} in a sentence",
)  # fmt: skip
INNOCENT = (
    "tokens=128", "max_tokens=64, batch_size=32", "token_type_ids", "token_type_ids=[0, 0, 1]", "key: value",
    "num_tokens: 12345678", "tokens: 1,000,000", "mask_token=[MASK]", "mask_token='[MASK]' pad_token='[PAD]'",
    "eos_token=</s>", "pad_token_id=0", "unk_token: [UNK]", "special_tokens_map.json", "The token: believable",
    "next_token=believable", "token=None", "token=True, use_cache=False", "KeyError: 'weights'", "KeyError: 'token'",
    "max_tokens=128, KeyError: 'weights', step=7", "the key to this: read more", "monkey: banana", "keys=3",
    "a basic understanding of it", "basic information", "Its bearer walks", "the secret of good soup is time",
    "no password was given", "a passing grade", "secretary Johnson", "step 12: loss=3.25, lr=0.0001",
    "https://huggingface.co/bert-base-uncased", "https://host/x?page=2&sort=name", "ssh://git@github.com/a/b",
    "20261122-120000-ab12", "sha256 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "PWD=/home/me",
    "me@example.org", "student.layers=2", "data.label_column=mood", "hf_hub_download", "pip install hf_transfer",
    "risk-averse and ask-me-anything",
    "task-specific fine-tuning of the embedding", "loss.soft=5.0 loss.hard=2.0", "author: Johnson",
    "tokenizer.json: 466062",
    "12:34:56 INFO 1234567890:started", "File \"core/data/tokens.py\", line 12, in tokenise", "cookie cutter",
    "eyJust a word", "sk-learn", "The teacher's words: good, great", "keyboard=qwerty-layout",
)  # fmt: skip


@pytest.mark.parametrize("host", PREFIXED)
@pytest.mark.parametrize("around", ["{}", "it was {}.", "({})", "x={}&y=1", '"{}"', "refused {}: gone"])
def test_a_token_is_known_by_how_it_begins(host: str, around: str) -> None:
    said = redacted(around.format(PREFIXED[host]))
    assert PREFIXED[host][-16:] not in said and BLOT in said


@pytest.mark.parametrize("name", NAMES)
def test_a_value_is_known_by_its_name_however_it_is_written(name: str) -> None:
    for written in WRITTEN:
        text = written.format(name=name, value=WORD)
        said = redacted(text)
        assert WORD not in said and BLOT in said, text
        assert said == text.replace(WORD, BLOT), text
        assert redacted(said) == said, text


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: text[:40])
def test_secrets_of_other_forms_are_blotted_out(text: str) -> None:
    said = redacted(text)
    assert WORD not in said and HEX not in said and JWT not in said and BLOT in said
    assert redacted(said) == said


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_name_beside_its_value_in_a_records_arguments_counts_too(caplog: pytest.LogCaptureFixture) -> None:
    factory = logging.getLogRecordFactory()
    try:
        redact.install()
        log = logging.getLogger("some.library")
        log.error("asked with %s", {"password": WORD, "max_tokens": 64, "page": "two"})
        log.error("asked with %s and %s", {"token": WORD}, [f"api_key={WORD}"])
        log.error("asked with %(secret)s on %(page)s", {"secret": WORD, "page": "two"})
    finally:
        logging.setLogRecordFactory(factory)
    assert WORD not in caplog.text and caplog.text.count(BLOT) == 4
    assert "'max_tokens': 64, 'page': 'two'" in caplog.text and "on two" in caplog.text


@pytest.mark.parametrize(
    "sign", ["a", "a.", "-", "token", "key=", "secret_", "://", "eyJ", " :", "\"'", "=", "login x "]
)
def test_a_long_line_takes_its_time_and_no_more(sign: str) -> None:
    """A pattern that tries every split of a long line would not end: no answer within the test's own limit."""
    assert len(redacted(sign * (100_000 // len(sign)))) > 0


def test_whatever_surrounds_it_a_secret_goes() -> None:
    chance = random.Random(2)
    for _ in range(500):
        around = ["".join(chance.choice(string.printable) for _ in range(12)) for _ in range(2)]
        assert WORD not in redacted(f"{around[0]} password={WORD} {around[1]}")
        assert LONG not in redacted(f"{around[0]} hf_{LONG} {around[1]}")


def test_a_line_of_a_log_costs_little() -> None:
    assert work(lambda: redacted("step 12: loss=3.25, lr=0.0001, max_tokens=64")) < 100
