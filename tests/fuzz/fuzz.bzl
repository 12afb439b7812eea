"""A macro that makes the replay test and the libFuzzer program of a fuzz target."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def shoal_fuzz_target(name, deps):
    """NAME.cc defines LLVMFuzzerTestOneInput; corpus/NAME has interesting inputs.

    Makes NAME_test, which runs the corpus and mutations of it in the ordinary build, and NAME_fuzz, which
    needs --config=fuzz (tools/fuzz).

    Args:
      name: the target.
      deps: what NAME.cc includes, apart from the helpers in this folder.
    """
    cc_library(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        alwayslink = True,
        deps = deps + [
            ":fuzz_input",
            "//common/base:status",
            "//tools/third_party:absl",
        ],
    )
    cc_test(
        name = name + "_test",
        size = "small",
        data = native.glob(["corpus/" + name + "/*"]),
        env = {"SHOAL_FUZZ_CORPUS": native.package_name() + "/corpus/" + name},
        deps = [
            ":replay",
            ":" + name,
        ],
    )
    cc_binary(
        name = name + "_fuzz",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name],
    )
