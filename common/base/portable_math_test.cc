#include "common/base/portable_math.h"

#include <cmath>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Logarithm and exponential agree with libm") {
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    CAPTURE(x);
    CHECK(PortableLog(x) == Approx(std::log(x)).epsilon(1e-14).margin(1e-15));
  }
  for (double x = -699; x < 700; x += 0.73) {
    CAPTURE(x);
    CHECK(PortableExp(x) == Approx(std::exp(x)).epsilon(1e-13));
  }
  CHECK(PortableExp(-701) == 0);
}

TEST_CASE("Digamma has its known values") {
  constexpr double kEulerGamma = 0.57721566490153286;
  CHECK(Digamma(1) == Approx(-kEulerGamma).epsilon(1e-9));
  CHECK(Digamma(0.5) == Approx(-kEulerGamma - 2 * std::log(2.0)).epsilon(1e-9));
  CHECK(Digamma(10) == Approx(2.2517525890667211).epsilon(1e-9));
}

}  // namespace
}  // namespace shoal
