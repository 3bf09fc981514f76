//! The formats that a report can be written in.

use super::{
    Time,
    baseline::Difference,
    codequality, github, html, in_toto, json, junit, markdown,
    model::{JobReport, Report},
    ocsf,
    place::Place,
    sarif,
    text::{self, Layout},
    view::View,
};
use serde::Deserialize;
use thiserror::Error;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For a person at a terminal.
    Text,
    /// As in `report.json`.
    Json,
    /// One page for a browser.
    Html,
    /// GitHub's Markdown, which GitLab and others read too.
    Markdown,
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit's XML.
    Junit,
    /// The input of GitLab's merge request widget.
    GitlabCodequality,
    /// Commands to GitHub's runner.
    Github,
    /// An in-toto Statement.
    InToto,
    /// OCSF Detection Findings.
    Ocsf,
}

/// What a format is called and told of.
struct Entry {
    name: &'static str,
    about: &'static str,
    file: Option<&'static str>,
}

impl Format {
    /// All of them, in the order in which they are told.
    pub const ALL: [Format; 10] = [
        Format::Text,
        Format::Json,
        Format::Html,
        Format::Markdown,
        Format::Sarif,
        Format::Junit,
        Format::GitlabCodequality,
        Format::Github,
        Format::InToto,
        Format::Ocsf,
    ];

    fn entry(self) -> Entry {
        let entry = |name, about, file| Entry { name, about, file };
        match self {
            Format::Text => entry("text", "For a person at a terminal", Some("report.txt")),
            Format::Json => entry("json", "As in report.json, for programs", None),
            Format::Html => entry(
                "html",
                "A page for a browser, which loads nothing and runs no script",
                Some("report.html"),
            ),
            Format::Markdown => {
                entry("markdown", "For a job summary or a comment", Some("report.md"))
            }
            Format::Sarif => entry("sarif", "SARIF 2.1.0, for code scanning", Some("report.sarif")),
            Format::Junit => {
                entry("junit", "JUnit XML: a finding is a failed test", Some("report.junit.xml"))
            }
            Format::GitlabCodequality => entry(
                "gitlab-codequality",
                "For GitLab's merge request widget",
                Some("report.codequality.json"),
            ),
            Format::Github => entry(
                "github",
                "Workflow commands: findings become annotations",
                Some("report.github.txt"),
            ),
            Format::InToto => entry(
                "in-toto",
                "A Statement of type runtime-trace about each --subject, to be signed",
                None,
            ),
            Format::Ocsf => {
                entry("ocsf", "OCSF Detection Findings, one a line", Some("report.ocsf.jsonl"))
            }
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What it is for.
    pub fn about(self) -> &'static str {
        self.entry().about
    }

    /// The file it is written to beside `report.json`; `None` where that cannot be asked for.
    pub fn file_name(self) -> Option<&'static str> {
        self.entry().file
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What a renderer is told beside the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Context<'a> {
    /// How text is laid out.
    pub layout: Layout,
    /// The report compared with that of an earlier build: text marks what is new.
    pub baseline: Option<&'a Difference>,
    /// The line that the container was started from; `None` when it is not known.
    pub place: Option<Place>,
    /// What an in-toto Statement is about.
    pub subjects: Vec<in_toto::Subject>,
}

impl Default for Context<'_> {
    /// Text of 80 columns without colours, and nothing else known.
    fn default() -> Self {
        let layout = Layout { width: 80, colour: false };
        Context { layout, baseline: None, place: None, subjects: Vec::new() }
    }
}

/// The report in a format, ending with a line end unless it is empty.
///
/// # Errors
/// Where JSON cannot be written, which none of these types is a reason for.
pub fn render(
    report: &Report,
    format: Format,
    context: &Context<'_>,
) -> serde_json::Result<String> {
    let view = || View::of_report(report, context.place.as_ref());
    match format {
        Format::Text => Ok(text::render_since(report, context.baseline, context.layout)),
        Format::Json => json::pretty(report),
        Format::Html => Ok(html::render(report)),
        Format::Markdown => Ok(markdown::render(report)),
        Format::Sarif => sarif::render(&view()),
        Format::Junit => Ok(junit::render(&view())),
        Format::GitlabCodequality => codequality::render(&view()),
        Format::Github => Ok(github::render(&view())),
        Format::InToto => in_toto::render(report, &context.subjects),
        Format::Ocsf => ocsf::render(&view()),
    }
}

/// What a renderer is told beside the report of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobContext {
    /// How text is laid out.
    pub layout: Layout,
    /// The lines that the containers were started from, in their order; none where they are
    /// not known.
    pub places: Vec<Option<Place>>,
    /// When the report was asked for: containers may run still.
    pub now: Time,
}

/// Why there is no report of a job in a format.
#[derive(Debug, Error)]
pub enum JobFormatError {
    /// An in-toto Statement has every exec, which a job's report has not.
    #[error(
        "--format in-toto: a Statement holds what one container executed; give it with the report \
         of each container, `buildwarden report ID`, instead of --job"
    )]
    InToto,
    /// JSON cannot be written, which none of these types is a reason for.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The report of a job in a format, ending with a line end unless it is empty.
///
/// # Errors
/// For [`Format::InToto`].
pub fn render_job(
    report: &JobReport,
    format: Format,
    context: &JobContext,
) -> Result<String, JobFormatError> {
    let view = || View::of_job(report, &context.places, context.now);
    Ok(match format {
        Format::Text => text::render_job(report, context.layout),
        Format::Json => json::pretty(report)?,
        Format::Html => html::render_job(report),
        Format::Markdown => markdown::render_job(&view()),
        Format::Sarif => sarif::render(&view())?,
        Format::Junit => junit::render(&view()),
        Format::GitlabCodequality => codequality::render(&view())?,
        Format::Github => github::render(&view()),
        Format::InToto => return Err(JobFormatError::InToto),
        Format::Ocsf => ocsf::render(&view())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_those_that_serde_reads() {
        for format in Format::ALL {
            let name = serde_json::Value::from(format.name());
            assert_eq!(serde_json::from_value::<Format>(name).unwrap(), format);
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
        assert_eq!(Format::from_name("xml"), None);
        let files: HashSet<_> =
            Format::ALL.iter().filter_map(|format| format.file_name()).collect();
        assert_eq!(files.len(), Format::ALL.len() - 2, "{files:?}");
        assert!(!files.contains("report.json"));
    }
}
