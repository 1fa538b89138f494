//! Lists of a status have a bound in their schema: a longer one would never be written again. So what is worth least goes.

use std::cmp::Reverse;

/// The rows, without those that are worth least where there are more than `most`. The order of the rest may change then.
#[must_use]
pub fn bounded<T, W: Ord>(mut rows: Vec<T>, most: usize, worth: impl Fn(&T) -> W) -> Vec<T> {
    if rows.len() > most {
        rows.sort_by_cached_key(|row| Reverse(worth(row)));
        rows.truncate(most);
    }
    rows
}

/// How many objects the record of a step lists.
pub const LISTED: usize = 200;

/// How many bytes all lists of one sort in the records of all steps may have together.
const ROOM: usize = 16 * 1024;

/// Objects as the record of one of so many steps takes them: of too many, or too long ones, the first, and how many more there are.
/// The inventory has all.
#[must_use]
pub fn listed(objects: &[String], steps: usize) -> Vec<String> {
    let room = ROOM / steps.max(1);
    let fits = |objects: &[String]| objects.len() <= LISTED && objects.iter().map(String::len).sum::<usize>() <= room;
    if fits(objects) {
        return objects.to_vec();
    }
    let mut used = 0_usize;
    let fitting = objects.iter().take(LISTED - 1).take_while(|object| {
        used += object.len();
        used <= room
    });
    let mut listed: Vec<String> = fitting.cloned().collect();
    listed.push(format!("and {} more", objects.len() - listed.len()));
    listed
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::crds;

    #[test]
    fn what_is_worth_least_goes_and_only_as_much_as_must() {
        assert_eq!(bounded(vec![3, 1, 2], 3, |row| *row), [3, 1, 2]);
        assert_eq!(bounded(vec![3, 1, 4, 2], 2, |row| *row), [4, 3]);
        assert_eq!(bounded(vec![3, 1], 0, |row| *row), [0; 0]);
    }

    #[test]
    fn of_more_objects_than_a_record_lists_it_says_how_many_more_there_are() {
        let objects = |count: usize| (0..count).map(|n| format!("ConfigMap/c{n}")).collect::<Vec<_>>();
        assert_eq!(listed(&objects(LISTED), 1), objects(LISTED));
        let cut = listed(&objects(LISTED + 1), 1);
        assert_eq!((cut.len(), cut.last().map(String::as_str)), (LISTED, Some("and 2 more")));
    }

    #[test]
    fn the_lists_of_all_steps_together_have_room_for_so_much_and_say_how_much_more_there_is() {
        let long: Vec<String> = (0..900).map(|n| format!("Deployment/{n:0100}")).collect();
        for steps in [1, 2, 16, 256] {
            let cut = listed(&long, steps);
            let (last, shown) = cut.split_last().unwrap();
            assert_eq!(shown, &long[..shown.len()]);
            assert_eq!(*last, format!("and {} more", 900 - shown.len()));
            assert!(steps * shown.iter().map(String::len).sum::<usize>() <= ROOM);
        }
        assert!(listed(&long, 1).len() > 100);
    }

    /// How many bytes of JSON a value of this schema may have, but for the lists that share a room.
    fn longest(schema: &Value) -> usize {
        match schema["type"].as_str() {
            Some("object") => {
                let fields = schema["properties"].as_object().unwrap().iter();
                let own = fields.filter(|(name, _)| !["objects", "pruned"].contains(&name.as_str()));
                own.map(|(name, field)| name.len() + 4 + longest(field)).sum::<usize>() + 2
            }
            Some("array") => {
                let most = schema["maxItems"].as_u64().unwrap();
                usize::try_from(most).unwrap() * (longest(&schema["items"]) + 1) + 2
            }
            Some("string") => schema["maxLength"].as_u64().map_or(30, |most| usize::try_from(most).unwrap() + 2),
            Some("integer") => 20,
            Some("boolean") => 5,
            other => panic!("{other:?}: {schema}"),
        }
    }

    #[test]
    fn however_many_steps_and_targets_a_promotion_has_its_status_can_be_written() {
        const ETCD: usize = 1536 * 1024;
        let definitions = serde_json::to_value(crds::all()).unwrap();
        let promotion = |known: &&Value| known["spec"]["names"]["kind"] == "Promotion";
        let definition = definitions.as_array().unwrap().iter().find(promotion).unwrap();
        let status = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status").unwrap();
        // An object has three bytes at least, as many as its quotes and comma; each of 256 lists may end with "and 900 more".
        let shared = 2 * (ROOM + ROOM + 256 * 24);
        let all = longest(status) + shared;
        assert!(all < ETCD, "{all}");
    }

    #[test]
    fn the_bounds_of_rows_are_those_of_the_schema() {
        let definitions = serde_json::to_value(crds::all()).unwrap();
        let most = |kind: &str, field: &str| {
            let all = definitions.as_array().unwrap();
            let definition = all.iter().find(|definition| definition["spec"]["names"]["kind"] == kind).unwrap();
            let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
            let bound = definition.pointer(&format!("{status}/{field}/maxItems")).unwrap().as_u64().unwrap();
            usize::try_from(bound).unwrap()
        };
        for field in ["objects", "pruned"] {
            assert_eq!(most("Promotion", &format!("steps/items/properties/{field}")), LISTED, "{field}");
        }
        assert_eq!(most("Project", "environments"), crate::controllers::project::rows::MOST);
        assert_eq!(most("Environment", "deployments"), crate::controllers::deployments::rows::MOST);
        for field in ["environments", "phases", "phases/items/properties/environments", "next", "due"] {
            assert_eq!(most("Release", field), crate::controllers::release::rows::MOST, "{field}");
        }
    }
}
