/* Looking presets up by name. */
#include "presets.h"
#include "suggest.h"

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
    suggestion nearest = {name, NULL, 0};
    for (const preset *p = presets; p->name; p++)
        suggest_consider(&nearest, p->name);
    return nearest.best;
}
