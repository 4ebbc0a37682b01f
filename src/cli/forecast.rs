//! `coupon-recon run --dry-run`: one line of JSON per night, and a table for people.

use std::fmt::Write;

use serde_json::json;

use super::terminal::{self, Level, say};
use crate::error::{ExitCode, Failure};
use crate::job::Job;
use crate::pipeline::{self, NightForecast, PlannedNight, StageOutlook};

pub(super) async fn tell(nights: &[PlannedNight<'_>]) -> Result<ExitCode, Failure> {
    for night in nights {
        let forecast = pipeline::forecast_night(*night).await?;
        let mut line = json!(forecast);
        line["dry_run"] = json!(true);
        say(&line);
        terminal::tell_with(Level::Info, "dry run", line, &table(night.job, &forecast));
    }
    Ok(if nights.is_empty() { ExitCode::NothingToDo } else { ExitCode::Complete })
}

fn table(job: &Job, forecast: &NightForecast) -> String {
    let mut text = format!("{} · {} · dry run: nothing is requested or written\n", job.name, forecast.date);
    text.push_str("  stage              calls  journal  at rate limit  partitions\n");
    for stage in &forecast.stages {
        let partitions = partitions(stage);
        let line = format!(
            "  {:<15} {:>8} {:>8} {:>14}  {partitions}",
            stage.stage,
            stage.calls,
            stage.journalled,
            duration(stage.seconds_at_rate_limit)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let total = duration(forecast.seconds_at_rate_limit);
    let _ = writeln!(text, "  {:<15} {:>8} {:>8} {total:>14}", "together, about", forecast.calls, forecast.journalled);
    for stage in &forecast.stages {
        if let Some(problem) = &stage.problem {
            let _ = writeln!(text, "  problem: {}: {problem}", stage.stage);
        }
        if let Some(hint) = &stage.hint {
            let _ = writeln!(text, "     hint: {hint}");
        }
    }
    if !forecast.stale_dates.is_empty() {
        let dates: Vec<_> = forecast.stale_dates.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  made from what this night replaces; run again after it: {}", dates.join(", "));
    }
    text
}

fn partitions(stage: &StageOutlook) -> String {
    let named = |how: &str, datasets: &[&str]| match datasets {
        [] => None,
        datasets => Some(format!("{how} {}", datasets.join(" "))),
    };
    let both = [named("new:", &stage.new), named("again:", &stage.replaced)];
    both.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// Seconds in words.
fn duration(seconds: u64) -> String {
    match seconds {
        0 => "-".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_told_in_hours() {
        assert_eq!([0, 9, 75, 100_000].map(duration), ["-", "9s", "1m15s", "27h46m"]);
    }
}
