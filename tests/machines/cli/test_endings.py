import pytest

from appliance.cli.endings import by_ending, by_name
from appliance.errors import Rejected

ROWS = [{"id": "aa11", "name": "erp"}, {"id": "bb11", "name": "till"}, {"id": "cc22", "name": ""}]


@pytest.mark.parametrize(("text", "id"), [("aa11", "aa11"), ("22", "cc22"), ("a11", "aa11"), ("zz", "zz")])
def test_any_ending_of_one_id_names_it_and_what_ends_none_stays(text, id):
    assert by_ending(text, [row["id"] for row in ROWS]) == id
    assert by_name(text, ROWS) == id


def test_a_name_comes_before_an_ending():
    assert by_name("erp", ROWS) == "aa11"
    assert by_name("11", [*ROWS, {"id": "dd33", "name": "11"}]) == "dd33"


def test_what_names_several_is_refused():
    with pytest.raises(Rejected, match="2 ids end with 11"):
        by_name("11", ROWS)
    with pytest.raises(Rejected, match="2 are named erp"):
        by_name("erp", [*ROWS, {"id": "dd33", "name": "erp"}])
