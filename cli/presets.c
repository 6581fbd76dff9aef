/* Looking presets up by name. */
#include "presets.h"

#include "base/text.h"

#include <string.h>

const preset *preset_find(const char *name)
{
    for (const preset *p = presets; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

const char *preset_nearest(const char *name)
{
    plk_suggestion nearest = plk_suggest(name);
    for (const preset *p = presets; p->name; p++)
        plk_suggest_offer(&nearest, p->name, NULL);
    return nearest.best;
}
