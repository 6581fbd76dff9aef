/*
 * The public face of tuning: names, and the work, which is in other translation units, in the
 * default floating-point environment.
 */
#include <pluck/tune.h>

#include "base/error.h"
#include "simd/fp_state.h"
#include "tune/tune_impl.h"

const char *pluck_tune_objective_name(pluck_tune_objective objective)
{
    static const char *const names[] = {"nll",     "ece",        "brier",
                                        "entropy", "perplexity", "diversity"};
    return (unsigned)objective < sizeof names / sizeof *names ? names[objective] : NULL;
}

const char *pluck_tune_cut_name(pluck_tune_cut_kind kind)
{
    static const char *const names[] = {"top_p", "min_p", "top_k", "top_n_sigma"};
    return (unsigned)kind < PLUCK_TUNE_N_CUT_KINDS ? names[kind] : NULL;
}

pluck_status pluck_tune_measure(const pluck_tune_data *data, const pluck_tune_request *request,
                                pluck_error *err)
{
    pluck_tune_data known;
    pluck_tune_request wanted;
    pluck_status status = PLK_READ_STRUCT(&known, data, "data", pluck_tune_data, err);
    if (status == PLUCK_OK)
        status = PLK_READ_STRUCT(&wanted, request, "request", pluck_tune_request, err);
    if (status != PLUCK_OK)
        return status;
    PLK_RETURN_IN_FP(plk_tune_measure(&known, &wanted, err));
}

static pluck_status fit_in_fp(const pluck_tune_data *data, const pluck_tune_options *options,
                              pluck_tune_fit *fit, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_tune_fit(data, options, fit, err));
}

pluck_status pluck_tune_temperature(const pluck_tune_data *data, const pluck_tune_options *options,
                                    pluck_tune_fit *fit, pluck_error *err)
{
    pluck_tune_data known;
    pluck_tune_options wanted;
    pluck_tune_fit found;
    if (!fit)
        return plk_fail(err, PLUCK_ERR_INVALID, "fit must not be NULL");
    pluck_status status = PLK_READ_STRUCT(&known, data, "data", pluck_tune_data, err);
    if (status == PLUCK_OK)
        status = PLK_READ_STRUCT(&wanted, options, "options", pluck_tune_options, err);
    if (status == PLUCK_OK)
        status = PLK_CHECK_STRUCT(fit, "fit", pluck_tune_fit, err);
    if (status == PLUCK_OK)
        status = fit_in_fp(&known, &wanted, &found, err);
    if (status != PLUCK_OK)
        return status;
    return PLK_WRITE_STRUCT(fit, &found, "fit", pluck_tune_fit, err);
}

pluck_status pluck_tune_cuts(const pluck_tune_data *data, double temperature, pluck_tune_cut *cuts,
                             size_t n, double keep, double *needed, pluck_error *err)
{
    pluck_tune_data known;
    pluck_status status = PLK_READ_STRUCT(&known, data, "data", pluck_tune_data, err);
    if (status != PLUCK_OK)
        return status;
    PLK_RETURN_IN_FP(plk_tune_cuts(&known, temperature, cuts, n, keep, needed, err));
}
