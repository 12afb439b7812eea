// Logarithm and exponential that give the same bits on every machine: they use IEEE operations alone, whereas
// libm chooses its code by the processor. Relative error below 1e-14.
#pragma once

namespace shoal {

// Natural logarithm of a normal x > 0.
double PortableLog(double x);

// e^x; 0 below -700. `x` at most 700.
double PortableExp(double x);

// d/dx log Γ(x), x > 0.
double Digamma(double x);

}  // namespace shoal
