import { Module } from '@nestjs/common';

/** The people of an account: what they did, and who can be reached. */
@Module({})
export class PeopleModule {}
