"""One target that depends on every library of a package, for tests/dependencies."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def all_libraries():
    """Call it last in the BUILD file: it sees only the rules before it."""
    cc_library(
        name = "all_libraries",
        visibility = ["//tests/dependencies:__pkg__"],
        deps = [
            ":" + name
            for name, rule in native.existing_rules().items()
            if rule["kind"] == "cc_library" and not rule.get("testonly", False)
        ],
    )
