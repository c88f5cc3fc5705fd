-- Each try of a delivery, the last ones of many: when it began, what it took and what came of it.
alter table deliveries add column tries text;
