"""The appliance without its telemetry: nothing is counted, timed or told. What telemetry costs is the difference."""

from __future__ import annotations

from appliance.__main__ import main
from appliance.telemetry.service import Telemetry


def _nothing(*_: object, **__: object) -> None:
    pass


for told in ("saw", "wrote", "opened", "closed"):
    setattr(Telemetry, told, _nothing)

if __name__ == "__main__":
    main()
