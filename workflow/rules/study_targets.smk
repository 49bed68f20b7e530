# A target for each study. Read last: it may not have the name of anything else.
TAKEN = {rule.name for rule in workflow.rules}

for study in SETTINGS.studies:
    made = {study, f"{study}-saved", f"{study}-masks"}
    others = {other for other in SETTINGS.studies if other != study}
    if study in TAKEN or made & {*TABLES, *FIGURES, *others}:
        raise WorkflowError(
            f"configuration: studies.{study}: a target, a table, a figure or a study of the workflow has this name; "
            "rename it"
        )

    rule:
        name:
            study
        input:
            study_results(study),
        localrule: True
