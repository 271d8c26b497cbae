from appliance.config.keeping import FOR_EVER, Keeping
from appliance.config.schema import Category, Log, Settings


def said(**categories: float | None) -> Settings:
    return Settings(log=Log(categories={name: Category(retention=age) for name, age in categories.items()}))


def test_what_a_plugin_declares_holds_unless_the_configuration_says_otherwise():
    keeping = Keeping(said(orders=10.0, notes=None))
    keeping.declared |= {"orders": 1.0, "notes": 2.0, "host": 3.0}

    before = keeping.ages
    keeping.configure(said(host=30.0))

    assert before == {"orders": 10.0, "notes": FOR_EVER, "host": 3.0}
    assert keeping.ages == {"orders": 1.0, "notes": 2.0, "host": 30.0}
