//! Placeholders: names which only a run knows, such as the one a broker generates for a queue.
//!
//! Steps are written with `{p}`, `{genN}`, `{ctagN}` and `{replytoN}`; before a step is played they
//! become real names, and in its result the real names become placeholders again. The prefix `{p}`
//! is as long as the one of the recordings, since error texts were cut to a length with it, and is
//! taken out of every result again.

use super::json::Json;

/// What `{p}` stands for: nothing that a scenario would say itself.
const PREFIX: &str = "leveret__";

/// What the names begin with that a broker generates.
const GENERATED_QUEUE: &str = "amq.gen-";
const GENERATED_TAG: &str = "amq.ctag-";
const REPLY_TO: &str = "amq.rabbitmq.reply-to.";

/// The placeholders met so far in one scenario.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    /// Pairs of placeholder and real name.
    /// Invariant: longer names first, so that a name is never taken for the start of another.
    met: Vec<(String, String)>,
    queues: usize,
    tags: usize,
    replies: usize,
    /// Names of the virtual hosts in use, which read `/` in the recorded texts.
    vhosts: Vec<String>,
}

impl Placeholders {
    /// Counts a queue declared without a name. A name that does not look generated stays as it is.
    pub(crate) fn meet_queue(&mut self, name: &str) {
        self.queues += 1;
        if name.starts_with(GENERATED_QUEUE) {
            self.meet(format!("{{gen{}}}", self.queues), name);
        }
    }

    /// Counts a consumer without a tag. A tag that does not look generated stays as it is.
    pub(crate) fn meet_tag(&mut self, tag: &str) {
        self.tags += 1;
        if tag.starts_with(GENERATED_TAG) {
            self.meet(format!("{{ctag{}}}", self.tags), tag);
        }
    }

    /// Notes the name of a virtual host.
    pub(crate) fn meet_vhost(&mut self, name: &str) {
        self.vhosts.push(name.to_owned());
    }

    /// Real names in place of placeholders, in every string and key.
    pub(crate) fn substitute(&self, json: &Json) -> Result<Json, String> {
        json.try_map_text(&|text| self.substitute_text(text))
    }

    /// Placeholders in place of real names, in every string and key.
    pub(crate) fn restore(&mut self, result: &Json) -> Json {
        result.each_text(&mut |text| self.meet_reply(text));
        result
            .try_map_text(&|text| Ok(self.restore_text(text)))
            .expect("restoring a text never fails")
    }

    fn meet(&mut self, placeholder: String, real: &str) {
        self.met.push((placeholder, real.to_owned()));
        self.met.sort_by_key(|(_, real)| std::cmp::Reverse(real.len()));
    }

    fn meet_reply(&mut self, text: &str) {
        if text.starts_with(REPLY_TO) && !self.met.iter().any(|(_, real)| real == text) {
            self.replies += 1;
            self.meet(format!("{{replyto{}}}", self.replies), text);
        }
    }

    fn substitute_text(&self, text: &str) -> Result<String, String> {
        let mut real = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, from_brace) = rest.split_at(start);
            real.push_str(before);
            let length = length_of_placeholder(from_brace);
            let (found, after) = from_brace.split_at(length.max(1));
            match found {
                "{p}" => real.push_str(PREFIX),
                "{" => real.push_str(found),
                met => match self.met.iter().find(|(placeholder, _)| placeholder == met) {
                    Some((_, name)) => real.push_str(name),
                    None => return Err(format!("nothing has been met for {met}")),
                },
            }
            rest = after;
        }
        real.push_str(rest);
        Ok(real)
    }

    fn restore_text(&self, text: &str) -> String {
        let mut restored = text.replace(PREFIX, "");
        for (placeholder, real) in &self.met {
            restored = restored.replace(real, placeholder);
        }
        for vhost in &self.vhosts {
            restored = restored.replace(&format!("vhost '{vhost}'"), "vhost '/'");
        }
        restored
    }
}

/// The length of the placeholder at the start of a text, or 0 if none is there.
pub(crate) fn length_of_placeholder(text: &str) -> usize {
    let Some((inner, _)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
        return 0;
    };
    let numbered = ["gen", "ctag", "replyto"].iter().any(|kind| {
        inner.strip_prefix(kind).is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
        })
    });
    if inner == "p" || numbered { inner.len() + 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("a test writes good JSON")
    }

    #[test]
    fn placeholders_stand_for_names_met_before() {
        let mut names = Placeholders::default();
        names.meet_queue("amq.gen-a");
        names.meet_queue("amq.gen-ab");
        names.meet_tag("amq.ctag-a");
        let written = json(r#"{"{p}k{gen2}":["{gen1}{p}.{ctag1}","{x}{","{gen}"]}"#);
        let real =
            json(r#"{"leveret__kamq.gen-ab":["amq.gen-aleveret__.amq.ctag-a","{x}{","{gen}"]}"#);
        assert_eq!(names.substitute(&written), Ok(real.clone()));
        let restored = json(r#"{"k{gen2}":["{gen1}.{ctag1}","{x}{","{gen}"]}"#);
        assert_eq!(names.restore(&real), restored);
    }

    #[test]
    fn a_placeholder_not_met_is_an_error() {
        let names = Placeholders::default();
        for missing in ["{gen1}", "a{ctag12}", "{replyto1}b"] {
            assert!(names.substitute(&Json::from(missing)).is_err(), "{missing}");
        }
    }

    #[test]
    fn a_name_that_does_not_look_generated_is_not_hidden() {
        let mut names = Placeholders::default();
        names.meet_queue("queue-1");
        names.meet_tag("tag-1");
        names.meet_tag("amq.ctag-2");
        assert_eq!(names.restore(&Json::from("queue-1 tag-1")), Json::from("queue-1 tag-1"));
        assert_eq!(names.restore(&Json::from("amq.ctag-2")), Json::from("{ctag2}"));
    }

    #[test]
    fn replies_are_numbered_as_they_are_met() {
        let mut names = Placeholders::default();
        let first = json(r#"[{"reply_to":"amq.rabbitmq.reply-to.x"},"amq.rabbitmq.reply-to.y"]"#);
        let restored = json(r#"[{"reply_to":"{replyto1}"},"{replyto2}"]"#);
        assert_eq!(names.restore(&first), restored);
        let again = Json::from("amq.rabbitmq.reply-to.y");
        assert_eq!(names.restore(&again), Json::from("{replyto2}"));
        assert_eq!(names.substitute(&Json::from("{replyto2}")), Ok(again));
        let plain = Json::from("amq.rabbitmq.reply-to");
        assert_eq!(names.restore(&plain), plain);
    }

    #[test]
    fn every_virtual_host_reads_as_the_default_one() {
        let mut names = Placeholders::default();
        names.meet_vhost("blue");
        let text = names.restore(&Json::from("no queue 'blue' in vhost 'blue'"));
        assert_eq!(text, Json::from("no queue 'blue' in vhost '/'"));
    }
}
