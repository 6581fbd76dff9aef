/*
 * categorical: the token is drawn from the distribution as the stages left it.
 */
#include "stages/stage_impl.h"

const plk_stage plk_stage_categorical = {
    .info = {.name = "categorical",
             .kind = PLUCK_STAGE_DRAW,
             .summary = "draws each token with its probability",
             .formula = "token ~ softmax(l)",
             .source = "definition",
             .cost = "exponentials of the block maxima and of a few blocks"},
    .on_slice = PLK_SLICE_PICK,
};
