/* compare_facts.c - the machine and the versions behind a comparison. */
#include <stdio.h>
#include <sys/utsname.h>
#include "jobs/comparison.h"
#include "kernels/gemm/gemm.h"

static void put_processor(wf_arena *arena, wf_json *machine) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!wf_starts_with(line, "model name") || !colon)
            continue;
        colon[strcspn(colon, "\n")] = 0;
        wf_put_text(arena, machine, "processor", colon + 2);
        break;
    }
    if (f)
        fclose(f);
}

void wf_put_machine(wf_comparison *c) {
    wf_arena *arena = c->job->arena;
    const wf_env *env = c->job->env;
    wf_json *machine = wf_put_object(arena, c->run, "machine"), *versions = wf_put_object(arena, c->run, "versions");
    struct utsname system;
    put_processor(arena, machine);
    wf_put_int(arena, machine, "threads", wf_pool_threads(env->pool));
    wf_put_text(arena, machine, "instruction_set", env->kernels->isa);
    if (wf_memory_total() > 0)
        wf_put_int(arena, machine, "memory_bytes", (int64_t)wf_memory_total());
    wf_put_text(arena, versions, "weft", weft_version());
    wf_put_text(arena, versions, "matrix products", wf_gemm_backend());
    wf_put_text(arena, versions, "compiler", __VERSION__);
    if (uname(&system) == 0)
        wf_put_text(arena, versions, "system",
                    wf_arena_printf(arena, "%s %s %s", system.sysname, system.release, system.machine));
}
