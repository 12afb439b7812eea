// Logarithm and exponential with the same bits on every machine.
//
// The variant that libm takes depends on the processor; these use IEEE operations alone. Relative error below
// 1e-14, which is plenty for the scores of a vocabulary.
#pragma once

namespace shoal {

// Natural logarithm of a normal x > 0.
double PortableLog(double x);

// e^x; 0 below -700. `x` at most 700.
double PortableExp(double x);

// d/dx log Γ(x), x > 0.
double Digamma(double x);

}  // namespace shoal
