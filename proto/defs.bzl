"""One macro from .proto files to a C++ library with messages and gRPC services."""

load("@rules_cc//cc:defs.bzl", "cc_library")

# Moves the include of descriptor.pb.h, which a .proto file with options has, from the header to the source: it
# takes a fifth of the time of each source that includes the header, and only few read options.
_MOVE_DESCRIPTOR = (
    "move() { grep -q 'protobuf/descriptor.pb.h' $$1 || return 0; sed -i '/protobuf.descriptor.pb.h/d' $$1; " +
    "sed -i '1i #include <google/protobuf/descriptor.pb.h>' $$2; }; move"
)

def shoal_proto_library(name, srcs, deps = [], services = False, visibility = None):
    """Messages (and with services = True gRPC stubs) of `srcs`, included as "<package>/<file>.pb.h".

    Args:
      name: the cc_library.
      srcs: .proto files of this package.
      deps: other shoal_proto_library targets that the files import.
      services: whether the files declare gRPC services.
      visibility: as for any rule.
    """
    native.filegroup(name = name + "_srcs", srcs = srcs + [d + "_srcs" for d in deps], visibility = visibility)
    outs = []
    for src in srcs:
        base = src[:-len(".proto")]
        outs += [base + ".pb.h", base + ".pb.cc"]
        if services:
            outs += [base + ".grpc.pb.h", base + ".grpc.pb.cc"]
    command = "protoc -I. --cpp_out=$(GENDIR)"
    if services:
        command += " --grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
    command += " " + " ".join([native.package_name() + "/" + s for s in srcs])
    for src in srcs:
        base = "$(GENDIR)/%s/%s.pb" % (native.package_name(), src[:-len(".proto")])
        command += " && %s %s.h %s.cc" % (_MOVE_DESCRIPTOR, base, base)
    native.genrule(
        name = name + "_gen",
        srcs = [name + "_srcs"],
        outs = outs,
        cmd = command,
    )
    cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-Wno-unused-parameter"],
        visibility = visibility,
        deps = deps + ["//tools/third_party:grpc" if services else "//tools/third_party:protobuf"],
    )
