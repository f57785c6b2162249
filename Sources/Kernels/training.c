#include "Kernels.h"
#include "vector_math.h"

MULTIVERSION void mmd_cross_entropy(float *logits, const int32_t *targets, float *nll, size_t rows, size_t classes,
                                    float scale, bool gradients) {
#pragma clang fp reassociate(on)
  for (size_t r = 0; r < rows; r++, logits += classes) {
    const int32_t target = targets[r];
    const float aimed = logits[target];
    const float top = largest(logits, classes);
    float sum = 0;
    if (gradients) {
      for (size_t j = 0; j < classes; j++) {
        logits[j] = exp_up_to_88(logits[j] - top);
        sum += logits[j];
      }
      const float inverse = scale / sum;
      for (size_t j = 0; j < classes; j++) logits[j] *= inverse;
      logits[target] -= scale;
    } else {
      for (size_t j = 0; j < classes; j++) sum += exp_up_to_88(logits[j] - top);
    }
    nll[r] = logf(sum) + (top - aimed);
  }
}

MULTIVERSION void mmd_token_losses(float *logits, const float *teacher, int32_t target, float *losses, size_t classes,
                                   const struct mmd_token_terms *terms, float scale, bool gradients) {
#pragma clang fp reassociate(on)
  const float aimed = logits[target], smoothing = terms->smoothing, cold = 1.0f / terms->temperature;
  const float top = largest(logits, classes);
  float total = 0, sum = 0;
  for (size_t j = 0; j < classes; j++) {
    sum += exp_up_to_88(logits[j] - top);
    total += logits[j] - top;
  }
  const float log_sum = logf(sum) + top, mean = total / (float)classes;
  losses[0] = logf(sum) + (1 - smoothing) * (top - aimed) - smoothing * mean;
  losses[1] = log_sum * log_sum;
  losses[2] = 0;
  const float teacher_top = teacher ? largest(teacher, classes) : 0;
  float teacher_sum = 0, soft_sum = 0;
  if (teacher) {
    float distance = 0;
    for (size_t j = 0; j < classes; j++) {
      const float mine = (logits[j] - top) * cold, theirs = (teacher[j] - teacher_top) * cold, p = exp_up_to_88(theirs);
      teacher_sum += p;
      soft_sum += exp_up_to_88(mine);
      distance += p * (theirs - mine);
    }
    distance = distance / teacher_sum + logf(soft_sum / teacher_sum);  // one logarithm: two large ones would cancel
    losses[2] = terms->temperature * terms->temperature * distance;
  }
  if (!gradients) return;
  const float soft = scale * (terms->cross_entropy + 2 * terms->squared_log_sum * log_sum) / sum;
  const float even = scale * terms->cross_entropy * smoothing / (float)classes;
  if (teacher) {
    const float weight = scale * terms->distillation * terms->temperature;
    const float mine = weight / soft_sum, theirs = weight / teacher_sum;
    for (size_t j = 0; j < classes; j++)
      logits[j] = soft * exp_up_to_88(logits[j] - top) - even + mine * exp_up_to_88((logits[j] - top) * cold) -
                  theirs * exp_up_to_88((teacher[j] - teacher_top) * cold);
  } else {
    for (size_t j = 0; j < classes; j++) logits[j] = soft * exp_up_to_88(logits[j] - top) - even;
  }
  logits[target] -= scale * terms->cross_entropy * (1 - smoothing);
}
