// Prints docs/job-file.md.
#include <iostream>

#include "common/job/job_reference.h"

int main() { std::cout << shoal::JobReference(); }
