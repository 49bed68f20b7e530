# A target for each study. Read last: it may not have the name of anything else.
TAKEN = {rule.name for rule in workflow.rules}

for study in SETTINGS.studies:
    made = {study, f"{study}-saved", f"{study}-masks"}
    if study in TAKEN or made & {*TABLES, *FIGURES}:
        raise WorkflowError(
            f"configuration: studies.{study}: a target, a table or a figure of the workflow has this name; rename it"
        )

    rule:
        name:
            study
        input:
            study_results(study),
        localrule: True
