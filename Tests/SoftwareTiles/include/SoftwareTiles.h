// The products that run on AMX tiles, with tiles in software: the same source, on processors that have none.
#ifndef SOFTWARE_TILES_H
#define SOFTWARE_TILES_H

#include "Kernels.h"

/// Only where mmd_has_avx512.
MMD_PRODUCT(software_tiles_product);

#endif
