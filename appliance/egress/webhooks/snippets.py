"""How a receiver verifies a webhook, in five languages, with nothing but what each brings along.

Each is a whole program: the body on stdin, `WEBHOOK_SECRET` and the three headers in the environment; it ends with 0
if the signature is good and at most five minutes old. The function in it is what a receiver copies.
"""

from __future__ import annotations

__all__ = ["SNIPPETS"]

PYTHON = """\
import base64, hashlib, hmac, os, sys, time

def verify(secret: str, id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    if abs(time.time() - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(wanted, one) for one in signatures.split())

if __name__ == "__main__":
    given = [os.environ[name] for name in ("WEBHOOK_SECRET", "WEBHOOK_ID", "WEBHOOK_TIMESTAMP", "WEBHOOK_SIGNATURE")]
    sys.exit(0 if verify(*given, sys.stdin.buffer.read()) else 1)
"""

JAVASCRIPT = """\
const { createHmac, timingSafeEqual } = require("node:crypto");

function verify(secret, id, timestamp, signatures, body) {
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const digest = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const wanted = Buffer.from(`v1,${digest}`);
  return signatures.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

const { WEBHOOK_SECRET, WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE } = process.env;
const body = require("node:fs").readFileSync(0);
process.exit(verify(WEBHOOK_SECRET, WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE, body) ? 0 : 1);
"""

PHP = """\
<?php
function verify(string $secret, string $id, string $timestamp, string $signatures, string $body): bool {
    if (abs(time() - (int) $timestamp) > 300) return false;
    $key = str_starts_with($secret, "whsec_") ? base64_decode(substr($secret, 6)) : $secret;
    $wanted = "v1," . base64_encode(hash_hmac("sha256", "$id.$timestamp.$body", $key, true));
    foreach (explode(" ", $signatures) as $one) {
        if (hash_equals($wanted, $one)) return true;
    }
    return false;
}

$good = verify(getenv("WEBHOOK_SECRET"), getenv("WEBHOOK_ID"), getenv("WEBHOOK_TIMESTAMP"),
    getenv("WEBHOOK_SIGNATURE"), stream_get_contents(STDIN));
exit($good ? 0 : 1);
"""

GO = """\
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

func verify(secret, id, timestamp, signatures string, body []byte) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || math.Abs(float64(time.Now().Unix()-seconds)) > 300 {
		return false
	}
	key := []byte(secret)
	if rest, found := strings.CutPrefix(secret, "whsec_"); found {
		if key, err = base64.StdEncoding.DecodeString(rest); err != nil {
			return false
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	wanted := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, one := range strings.Fields(signatures) {
		if hmac.Equal(wanted, []byte(one)) {
			return true
		}
	}
	return false
}

func main() {
	body, _ := io.ReadAll(os.Stdin)
	env := os.Getenv
	if !verify(env("WEBHOOK_SECRET"), env("WEBHOOK_ID"), env("WEBHOOK_TIMESTAMP"), env("WEBHOOK_SIGNATURE"), body) {
		os.Exit(1)
	}
}
"""

SHELL = """\
#!/bin/sh
# Needs openssl and od. The comparison takes as long as its first difference: for scripts at home.
age=$(( $(date +%s) - WEBHOOK_TIMESTAMP ))
[ "${age#-}" -le 300 ] || exit 1
case $WEBHOOK_SECRET in
  whsec_*) key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n') ;;
  *)       key=$(printf %s "$WEBHOOK_SECRET" | od -An -v -tx1 | tr -d ' \\n') ;;
esac
wanted=v1,$({ printf '%s.%s.' "$WEBHOOK_ID" "$WEBHOOK_TIMESTAMP"; cat; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
for one in $WEBHOOK_SIGNATURE; do
  [ "$one" = "$wanted" ] && exit 0
done
exit 1
"""

SNIPPETS = {"python": PYTHON, "javascript": JAVASCRIPT, "php": PHP, "go": GO, "shell": SHELL}
