#include "Kernels.h"
#include "vector_math.h"

MULTIVERSION void mmd_cross_entropy(float *logits, const int32_t *targets, float *nll, size_t rows, size_t classes,
                                    bool gradients) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++, logits += classes) {
    const int32_t target = targets[r];
    const float aimed = logits[target];
    float top = -INFINITY;
    for (size_t j = 0; j < classes; j++) top = logits[j] > top ? logits[j] : top;
    float sum = 0;
    if (gradients) {
      for (size_t j = 0; j < classes; j++) {
        logits[j] = exp_f32(logits[j] - top);
        sum += logits[j];
      }
      const float inverse = 1.0f / sum;
      for (size_t j = 0; j < classes; j++) logits[j] *= inverse;
      logits[target] -= 1.0f;
    } else {
      for (size_t j = 0; j < classes; j++) sum += exp_f32(logits[j] - top);
    }
    nll[r] = logf(sum) + (top - aimed);
  }
}
