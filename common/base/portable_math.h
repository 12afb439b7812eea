// Logarithm and exponential with the same bits on every machine.
//
// Which variant libm runs depends on the processor; these use only IEEE operations. Relative error below
// 1e-14.
#pragma once

namespace shoal {

// Natural logarithm of a normal x > 0.
double PortableLog(double x);

// e^x; 0 below -700. `x` at most 700.
double PortableExp(double x);

// d/dx log Γ(x), x > 0.
double Digamma(double x);

}  // namespace shoal
