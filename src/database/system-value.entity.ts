import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A fact about this database as a whole. */
@Entity('system_value')
export class SystemValue {
  @PrimaryColumn({ type: 'varchar', length: 64 })
  name: string;

  @Column({ type: 'text' })
  value: string;
}
