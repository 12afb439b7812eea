// Prints docs/job-file.md.
#include <iostream>

#include "common/job_reference.h"

int main() { std::cout << shoal::JobReference(); }
