"""One macro from a fuzz target's file to its replay test and its libFuzzer program."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def shoal_fuzz_target(name, deps):
    """NAME.cc defines LLVMFuzzerTestOneInput; corpus/NAME has inputs of interest.

    Makes NAME_test, which runs the corpus and mutations of it in the ordinary build, and NAME_fuzz, which
    needs --config=fuzz (tools/fuzz).

    Args:
      name: the target.
      deps: what NAME.cc includes, beside the helpers of this folder.
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
