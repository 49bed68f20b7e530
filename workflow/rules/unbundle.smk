# Instead of all rules before tables and figures: the files that those would make, unpacked from a bundle.

# Each bundle has a folder of its own, with Snakemake's own records: no file of a run is read or written,
# and nothing that is made there is made of another bundle.
REBUILT = Path("results/rebuilt", MANIFEST.digest()).absolute()

if workflow.is_main_process:
    print(
        f"{BUNDLE}: made by {in_words(MANIFEST.code)}; rebuilt by {in_words(code_state())} in {REBUILT}/results",
        file=sys.stderr,
    )
    try:
        unpack_bundle(BUNDLE, MANIFEST, BUNDLED, REBUILT)
    except InputError as error:
        raise WorkflowError(str(error)) from None


workdir: str(REBUILT)


onsuccess:
    print(f"{REBUILT}/results/paper/astromae.pdf, and tables, figures and the results page beside it", file=sys.stderr)
