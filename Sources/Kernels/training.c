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

MULTIVERSION void mmd_adamw(float *weight, float *first, float *second, const float *gradient, size_t count,
                            float gradient_scale, double rate, double decay, double beta1, double beta2,
                            double epsilon, int64_t step) {
  const float shrink = (float)(1.0 - rate * decay);
  const float step_size = (float)(rate / (1.0 - pow(beta1, (double)step)));
  const float root = (float)sqrt(1.0 - pow(beta2, (double)step));
  const float b2 = (float)beta2, c1 = (float)(1.0 - beta1), c2 = (float)(1.0 - beta2);
  const float e = (float)epsilon;
  for (size_t i = 0; i < count; i++) {
    const float g = gradient[i] * gradient_scale;
    const float m = first[i] + c1 * (g - first[i]);
    const float v = b2 * second[i] + c2 * g * g;
    first[i] = m;
    second[i] = v;
    weight[i] = weight[i] * shrink - step_size * (m / (__builtin_sqrtf(v) / root + e));
  }
}
