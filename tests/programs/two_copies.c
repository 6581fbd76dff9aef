/*
 * A program that may have two copies of pluck, its own and that of a plugin. Each generates the
 * tokens of examples/embed.c; the last line says whether they are one copy.
 *
 *     two_copies PLUGIN
 *
 * The plugin is this file with PLUGIN defined. In both embed.c is linked too, its main() renamed to
 * embed_main() and plugin_main().
 */
#include <pluck/base.h>

#ifdef PLUGIN
const char *plugin_version(void);

/* The text of a copy has an address of its own. */
const char *plugin_version(void)
{
    return pluck_version();
}
#else
#    include <dlfcn.h>
#    include <stdio.h>
#    include <string.h>

int embed_main(int argc, char **argv);

typedef int main_function(int argc, char **argv);
typedef const char *version_function(void);

int main(int argc, char **argv)
{
    main_function *plugin_main = NULL;
    version_function *plugin_version = NULL;
    char name[] = "embed", *arguments[] = {name, NULL};
    void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!plugin) {
        fprintf(stderr, "two_copies: %s\n", argc == 2 ? dlerror() : "name a plugin");
        return 1;
    }
    void *symbols[] = {dlsym(plugin, "plugin_main"), dlsym(plugin, "plugin_version")};
    if (!symbols[0] || !symbols[1])
        return 1;
    memcpy(&plugin_main, &symbols[0], sizeof plugin_main);
    memcpy(&plugin_version, &symbols[1], sizeof plugin_version);
    if (embed_main(1, arguments) != 0 || plugin_main(1, arguments) != 0)
        return 1;
    puts(plugin_version() == pluck_version() ? "one copy" : "two copies");
    return 0;
}
#endif
